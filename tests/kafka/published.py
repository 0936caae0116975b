"""What is in the output topics, against what the store holds."""

from __future__ import annotations

import json

from tests.consumers.stored import query

LETTER_COLUMNS = "topic, kafka_partition, kafka_offset, reason, error, key, first_seen_at"
FINDING_COLUMNS = "finding_id, kind, action, cause, annotation_id, score, txn_id, found_at"


class Outputs:
    """Output topics, and the settings that name two of them."""

    def __init__(self, broker, *, partitions=1, **configs):
        self._broker = broker
        self.findings_topic = broker.create(partitions=partitions)
        self.letters_topic = broker.create(**configs)
        self.next_topic = broker.create(partitions=partitions)
        self.settings = {
            "KAFKA__FINDINGS_TOPIC": self.findings_topic,
            "KAFKA__DEAD_LETTERS_TOPIC": self.letters_topic,
        }

    def findings(self):
        """The findings in the topic, in order: the key, what the header says, and the columns."""
        records = self._broker.read(self.findings_topic)
        return [(r.key, dict(r.headers), json.loads(r.value)) for r in records]

    def rankings(self):
        """What the topic of the next labels holds: by transaction, the rows by their rank."""
        found = {}
        for record in self._broker.read(self.next_topic):
            each = json.loads(record.value)
            assert record.key == each["example_id"].encode()
            assert dict(record.headers)["labelwatch.request_id"] == each["request_id"].encode()
            found.setdefault(each["txn_id"], {})[each["rank"]] = each
        return found

    def letters(self):
        """The dead letters in the topic, in order: the key, the headers as text, the value."""
        found = []
        for record in self._broker.read(self.letters_topic):
            said = {name: text.decode() for name, text in record.headers}
            assert all(name.startswith("labelwatch.") for name in said)
            said = {name.removeprefix("labelwatch."): text for name, text in said.items()}
            found.append((record.key, said, record.value))
        return found

    def distinct_findings(self):
        """The columns of the findings, each once."""
        once = {each["finding_id"]: each for *_, each in self.findings()}
        names = FINDING_COLUMNS.split(", ")
        return sorted(tuple(each[name] for name in names) for each in once.values())

    def distinct_letters(self):
        """Coordinates, reason, error, key and time of the letters, each once."""
        once = {
            (said["topic"], int(said["partition"]), int(said["offset"])): (said, key)
            for key, said, _ in self.letters()
        }
        return sorted(
            (*at, said["reason"], said["error"], key or b"", said["first_seen_at"])
            for at, (said, key) in once.items()
        )


def stored_findings(path, after=0):
    """The view findings, as `distinct_findings` has it."""
    rows = query(path, f"SELECT {FINDING_COLUMNS} FROM findings WHERE txn_id > {after}")
    return sorted((*row[:-1], f"{row[-1].isoformat()}Z") for row in rows)


def stored_letters(path):
    """The view dead_letters, as `distinct_letters` has it."""
    rows = query(path, f"SELECT {LETTER_COLUMNS} FROM dead_letters")
    return sorted((*row[:-2], row[-2] or b"", f"{row[-1].isoformat()}Z") for row in rows)
