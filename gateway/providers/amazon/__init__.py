"""Amazon Bedrock: Converse, its event stream, and the signature of each request."""
