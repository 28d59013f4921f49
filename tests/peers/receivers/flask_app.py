"""Receives webhooks with Flask as the vendor documents it: parsed by Flask, decoded once more."""

import json
import os
import sys
from urllib.parse import unquote

from flask import Flask, request

app = Flask(__name__)


@app.get("/hook")
def hook() -> tuple[str, int]:
    for parameter, value in request.args.items():
        line = json.dumps([parameter, json.loads(unquote(value))])
        os.write(1, f"{line}\n".encode())  # whole, whatever other threads write
    return "OK", 200


app.run(host="127.0.0.1", port=int(sys.argv[1]))
