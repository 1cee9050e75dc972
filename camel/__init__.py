"""The door: ChatDev 1.0's import names. Only a clone has it; the wheel ships ``chatdev`` alone."""
