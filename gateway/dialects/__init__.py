"""The wire formats that clients speak: each turns its requests into OpenAI chats and chats into its answers."""
