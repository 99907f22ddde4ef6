"""The command line of infgram: one command a file, and no logic of its own."""
