"""What TensorFlow's runtime is: for raw TensorFlow, and for Keras on its TensorFlow engine.
Importing this imports TensorFlow.
"""
