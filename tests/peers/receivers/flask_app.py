"""Receives webhooks with Flask as the vendor documents it: parsed by Flask, decoded once more."""

import json
import sys
from urllib.parse import unquote

from flask import Flask, request

app = Flask(__name__)


@app.get("/hook")
def hook() -> tuple[str, int]:
    for parameter, value in request.args.items():
        print(json.dumps([parameter, json.loads(unquote(value))]), flush=True)
    return "OK", 200


app.run(host="127.0.0.1", port=int(sys.argv[1]))
