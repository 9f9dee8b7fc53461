"""The lab's ground floor: finds the engine, builds the images, brings the containers up and takes them down."""
