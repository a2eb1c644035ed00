"""SIP traces: the messages of calls, kept for people who look into a fault; off unless asked for."""
