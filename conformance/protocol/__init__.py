"""The adapter protocol: how an implementation that nobody here wrote is reached.

messages       what each line may be, by its published schema
conversation   the rules of a conversation, without any input or output
keeper         a small program that starts an adapter and lets nothing of it survive
adapter        an adapter as a running program: deadlines, faults, its end
document       PROTOCOL.md, with the field lists taken from the schemas
"""
