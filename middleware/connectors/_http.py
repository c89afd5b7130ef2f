"""The one HTTP client: every outgoing call leaves through here. (interface sketch; being written)"""
