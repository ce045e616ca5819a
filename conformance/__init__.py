"""The same traces on both: drive real implementations through what the model says, step by step.

This layer sees ``lastref.model`` and ``lastref.impl``; neither of them sees it, nor each other.
"""
