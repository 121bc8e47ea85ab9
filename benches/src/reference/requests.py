#!/usr/bin/env python3
"""A loop with one session of requests; prints seconds of CPU per poll.

usage: requests.py BASE_URL CA FIRST ORDERS POLLS
"""
import sys
import time

sys.path.pop(0)  # The folder of this file, which has the library's name.
import requests

base, ca = sys.argv[1:3]
first, orders, polls = map(int, sys.argv[3:])
session = requests.Session()
session.trust_env = False  # REQUESTS_CA_BUNDLE would win.
session.verify = ca


def poll(number):
    form = {"loginName": "bench", "loginPassword": "secret", "orderNumber": first + number % orders}
    form |= {"queryType": 1, "responseType": 3, "responseFormat": 1}
    answer = session.post(base + "/products/download/CollectSSL", data=form, timeout=60)
    assert answer.text.startswith("errorCode="), answer.text


poll(0)
begin = time.process_time()
for number in range(1, polls + 1):
    poll(number)
print((time.process_time() - begin) / polls)
