"""Reads the event files of a folder with TensorBoard's own code and prints what it finds as JSON. Images are decoded."""
import io
import json
import sys

from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "images": 0, "histograms": 0})
events.Reload()
tags = events.Tags()


def decoded(event):
    with Image.open(io.BytesIO(event.encoded_image_string)) as image:
        image.load()
        assert image.size == (event.width, event.height), (image.size, event.width, event.height)
        # Pixels by their colour: what of the picture is neither black, white nor grey.
        coloured = sum(max(pixel) - min(pixel) > 40 for pixel in image.convert("RGB").getdata())
    return {"step": event.step, "width": event.width, "height": event.height, "coloured": coloured}


print(json.dumps({
    "scalars": {tag: [[event.step, event.value] for event in events.Scalars(tag)] for tag in tags["scalars"]},
    "histograms": {tag: [[event.step, event.histogram_value.num, event.histogram_value.min, event.histogram_value.max]
                         for event in events.Histograms(tag)] for tag in tags["histograms"]},
    "images": {tag: [decoded(event) for event in events.Images(tag)] for tag in tags["images"]},
}))
