"""Images, audio, moderation and reranking: their requests, and the most that each may use."""
