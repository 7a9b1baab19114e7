"""Read models: what pages, CSV files and the management API show, by plain queries; nothing here writes."""
