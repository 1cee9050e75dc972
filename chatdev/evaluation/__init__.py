"""What a company is worth: tasks built by several arms at one model, and judged by cases that none of them saw."""
