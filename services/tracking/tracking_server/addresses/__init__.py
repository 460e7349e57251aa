"""Strings of clients that become addresses of artifacts, and who may use what they name.

MLflow asks for permission on the object that carries an address, and reads with the server's own
credentials whatever the address names. Here the address is asked about as well.

meaning  what an address names, read in one way only
rows     what the backend store has of that
owners   whose permissions hold for it
caller   who asks, and what MLflow lets them do
guard    lets pass, or refuses
stores   MLflow's stores, whose addresses are guarded when they are stored and handed out
handlers the same where MLflow's routes reach for artifacts
command  `tracking-server addresses`: rows that would be refused today
"""
