"""What a model may reach of the network, and the proxy that holds it to that."""
