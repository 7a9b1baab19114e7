"""Google's APIs: Gemini, and Vertex AI, which has Gemini and Claude at addresses of its own."""
