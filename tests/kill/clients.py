"""Clients of a monitor that is killed and started again: each asks on, and looks at all it is told."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections import Counter
from random import Random
from urllib.parse import urlsplit

from tests.consumers.http.serving import post

HANG_S = 120
"""A query takes up to ten seconds: who waits longer than this without a word is not answered."""
AGAIN = {429, 503}
"""Not now; the answer says why, and when."""
EXAMPLES = 200
RESTLESS, LEAVES = 5, 10
"""Clients of the stream that leave now and then by themselves, and how often each does."""
LAST = "the last one"
"""The example whose finding ends the streams."""


class Client(threading.Thread):
    """Asks until all is over. `fault`: what it was told and should not have been."""

    kind = ""

    def __init__(self, town, number):
        super().__init__(name=f"{self.kind} {number}", daemon=True)
        self.town, self.number, self.fault = town, number, None
        self.random = Random(f"{town.seed} {self.name}")

    def run(self):
        """Ask again and again; where nobody answers, again."""
        try:
            while not self.is_done():
                try:
                    self.ask()
                except (ConnectionError, http.client.HTTPException):
                    self.town.count(self.kind, "closed")
                    time.sleep(self.random.uniform(0.1, 0.4))
        except Exception as error:  # noqa: BLE001 - told by the test
            self.fault = f"{self.name}: {type(error).__name__}: {error}"

    def is_done(self):
        """Whether it has asked enough."""
        return self.town.is_over.is_set()

    def rest(self):
        """Do something else meanwhile."""
        time.sleep(self.random.uniform(0.3, 0.9))

    def judge(self, status, headers, said, expected):
        """Whether an answer is what was hoped for; if not, it must say what is wrong and what to do."""
        self.town.count(self.kind, status)
        if status in expected:
            return True
        assert status in AGAIN, (status, said)
        assert {"error", "hint"} <= said.keys(), said
        assert headers["retry-after"] == "1"
        return False

    @contextlib.contextmanager
    def answer(self, method, path, body=None, headers=None):
        """An answer that has begun, whatever it is. Raises: ConnectionError, HTTPException."""
        url = self.town.monitor.url
        if url is None:
            raise ConnectionError("nobody answers")
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=HANG_S)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            yield connection.getresponse()

    def told(self, method, path, body=None, expected=(200,)):
        """What a whole answer says; None where it was not now."""
        with self.answer(method, path, body) as answer:
            said = json.loads(answer.read())
        return said if self.judge(answer.status, answer.headers, said, expected) else None


class Sender(Client):
    """Sends until acknowledged, with a key for each request. `sent`: number of the first event → events."""

    kind = "sender"

    def __init__(self, town, number):
        super().__init__(town, number)
        self.sent, self._waiting = {}, None

    def is_done(self):
        """Whether nothing is left without an answer."""
        return super().is_done() and self._waiting is None

    def ask(self):
        """Send the events at hand, or send the last ones once more, as who has missed the answer."""
        if self._waiting is None:
            key = f"{self.name} {len(self.sent)}"
            self._waiting = key, [self._event() for _ in range(self.random.randint(1, 4))], None
        key, events, known = self._waiting
        status, headers, said = post(self.town.monitor.url, events, key)
        headers = {name.lower(): value for name, value in headers.items()}
        if not self.judge(status, headers, said, {202}):
            return
        first = said["first_seq"]
        assert known in (None, first), f"{key} was {known}, and is {first}"
        assert said["last_seq"] == first + len(events) - 1
        self.sent[first] = events
        is_once_more = known is None and self.random.random() < 0.2
        self._waiting = (key, events, first) if is_once_more else None
        self.rest()

    def _event(self):
        """An annotation, of an example that others label too, or a label that replaces one."""
        p = self.random.choice((0.1, 0.2, 0.8, 0.9))
        return {
            "example_id": f"x{self.random.randrange(EXAMPLES)}",
            "label": self.random.choice("aaab" if p > 0.5 else "bbba"),
            "annotator": f"ann {self.number % 7}",
            "pred_probs": {"a": p, "b": 1 - p},
            # The time of arrival would be another one in another run.
            "annotated_at": self.random.randrange(10**9),
        }


class Asker(Client):
    """Asks POST /sql. What was there once is there after every restart."""

    kind = "sql"

    def __init__(self, town, number):
        super().__init__(town, number)
        self._counted = 0

    def ask(self):
        """How much is committed, by two views, which must be as of one commit."""
        sql = (
            "SELECT (SELECT coalesce(max(next_offset), 0) FROM offsets), "
            "(SELECT count(*) FROM label_issues), (SELECT count(*) FROM annotations WHERE is_label_issue)"
        )
        if said := self.told("POST", "/sql", sql):
            ((counted, *issues),) = said["rows"]
            assert counted >= self._counted, f"{self._counted} were committed, and {counted} are"
            assert issues[0] == issues[1]
            self._counted = counted
        self.rest()


class Lister(Client):
    """Reads one of the lists."""

    kind = "list"

    def ask(self):
        """A page."""
        name = ("label-issues", "classes", "duplicates", "offsets", "health")[self.number % 5]
        said = self.told("GET", f"/api/{name}")
        assert said is None or name == "health" or {"rows", "next"} == said.keys()
        self.rest()


class Explainer(Client):
    """Asks why."""

    kind = "explain"

    def ask(self):
        """About an example that may not be there yet."""
        example = f"x{self.random.randrange(EXAMPLES)}"
        said = self.told("GET", f"/api/explain/{example}", expected=(200, 404))
        assert said is None or "error" in said or said["example_id"] == example
        self.rest()


class Follower(Client):
    """Reads the stream of findings from its beginning; after a fault it goes on after the last id."""

    kind = "stream"

    def __init__(self, town, number):
        super().__init__(town, number)
        self.found, self._last, self._is_done = [], "0", False
        self._leaves = LEAVES if number < RESTLESS else 0

    def is_done(self):
        """Whether the last finding has come."""
        return self._is_done

    def ask(self):
        """Read until the stream ends, or is cut."""
        with self.answer("GET", "/api/events", headers={"Last-Event-ID": self._last}) as answer:
            if answer.status != 200:
                self.judge(answer.status, answer.headers, json.loads(answer.read()), ())
                time.sleep(0.2)
                return
            self.town.count(self.kind, 200)
            for fields in _events(answer):
                self._take(fields)
                # Who leaves in the middle of a commit goes on there. Each place costs a query, so few do.
                is_leaving = self._leaves > 0 and self.random.random() < 0.05
                self._leaves -= is_leaving
                if self._is_done or is_leaving:
                    return

    def _take(self, fields):
        finding = json.loads(fields[b"data"])
        self._last = fields[b"id"].decode()
        self.found.append(
            (self._last, finding["finding_id"], finding["action"], finding["example_id"])
        )
        # The last of its findings: those of one commit come by kind.
        self._is_done = (finding["example_id"], finding["kind"]) == (LAST, "label_issue")


def _events(answer):
    """The whole events of a stream, until it ends."""
    text = b""
    while more := answer.read1(65_536):
        *events, text = (text + more).split(b"\n\n")
        for event in events:
            fields = dict(line.split(b": ", 1) for line in event.splitlines())
            if b"data" in fields:
                yield fields


class Town:
    """All clients of a monitor. `answers`: how often each kind of client got which status."""

    def __init__(self, monitor, seed, population):
        self.monitor, self.seed = monitor, seed
        self.is_over = threading.Event()
        self.answers, self._counting = Counter(), threading.Lock()
        self.clients = [kind(self, i) for kind, count in population.items() for i in range(count)]
        for each in self.clients:
            each.start()

    def of(self, kind):
        """The clients of a kind."""
        return [each for each in self.clients if isinstance(each, kind)]

    def count(self, kind, status):
        """Remember an answer."""
        with self._counting:
            self.answers[kind, status] += 1

    def has_sent(self, count):
        """Whether so many requests are acknowledged, or somebody was told what should not have been."""
        sent = sum(len(each.sent) for each in self.of(Sender))
        return sent >= count or any(each.fault for each in self.clients)

    def settle(self, *kinds):
        """Until these clients have asked enough; what they were told and should not have been."""
        clients = [each for each in self.clients if isinstance(each, kinds)]
        end = time.monotonic() + 2 * HANG_S
        for each in clients:
            each.join(max(0, end - time.monotonic()))
        return [each.fault or f"{each.name} hangs" for each in clients if _is_amiss(each)]


def _is_amiss(client):
    return client.fault is not None or client.is_alive()
