"""The Open Inference Protocol (V2): what reads, checks and writes its tensors."""
