"""The command line in front of the real services, the real broker and the sandbox directory."""

import json
import os
import subprocess
import sys

from tests.page.test_walk import running_installation


def test_a_script_uploads_two_files_and_corrects_what_failed(kafka_bootstrap, topic_prefix, tmp_path):
    """Exit statuses, one job for one key, the same file asked about, a result file that goes up again, a mapping."""
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("name,address\nGood Hope,1 Hope Street\nLakeside,3 Lake Road\n")
    bad.write_text("name,address\nMercy,1 Mercy Street\nNowhere Clinic,2 Lost Lane\n")
    with running_installation(kafka_bootstrap, topic_prefix, tmp_path / "local") as installation:
        installation.refuse("Nowhere")

        def hospital_bulk(*words):
            environment = {**os.environ, "HOSPITAL_BULK_URL": installation.url}
            command = [sys.executable, "-m", "client", *map(str, words)]
            return subprocess.run(
                command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120
            )

        uploaded = hospital_bulk("upload", good, "--watch", "--key", "monday")
        assert (uploaded.returncode, "Traceback" in uploaded.stderr) == (0, False), uploaded.stderr
        assert "Completed: All hospitals created and activated." in uploaded.stdout
        assert "\x1b" not in uploaded.stdout + uploaded.stderr

        assert hospital_bulk("upload", good).returncode == 7
        replayed = hospital_bulk("upload", good, "--yes", "--key", "monday", "--json")
        partly = hospital_bulk("upload", bad, "--watch", "--json")
        assert partly.returncode == 1, partly.stderr
        listed = json.loads(hospital_bulk("list", "--json").stdout)["jobs"]
        assert [job["file_name"] for job in listed] == ["bad.csv", "good.csv"]
        assert json.loads(replayed.stdout)["job_id"] == listed[1]["job_id"]

        job_id = json.loads(partly.stdout)["job_id"]
        fetched = hospital_bulk("failed", job_id, "-o", tmp_path / "failed.csv")
        assert fetched.returncode == 0, fetched.stderr
        failed = (tmp_path / "failed.csv").read_text()
        assert failed.splitlines()[1].startswith("Nowhere Clinic,2 Lost Lane")
        corrected = tmp_path / "corrected.csv"
        corrected.write_text(failed.replace("Nowhere Clinic", "Somewhere Clinic"))
        assert hospital_bulk("upload", corrected, "--watch").returncode == 0

        refused = hospital_bulk("cancel", job_id)
        assert (refused.returncode, "has ended" in refused.stderr) == (6, True), refused.stderr
        installation.refuse("nobody at all")
        retried = hospital_bulk("retry", job_id, "--watch")
        assert retried.returncode == 0, retried.stdout + retried.stderr
        assert installation.created() == 5

        foreign = tmp_path / "foreign.csv"
        foreign.write_bytes("Haus;Straße;Ort\nSankt Jürgen;Ringstraße 1;Köln\n".encode("cp1252"))
        assert "--encoding windows-1252 reads it as: " in hospital_bulk("upload", foreign, "--yes").stderr
        choices = [
            "--encoding",
            "windows-1252",
            "--map",
            "name=Haus",
            "--map",
            "address=Straße",
            "--map",
            "address=Ort",
        ]
        mapped = hospital_bulk("upload", foreign, *choices, "--watch", "--yes")
        assert mapped.returncode == 0, mapped.stderr
        assert "Sankt Jürgen  Ringstraße 1, Köln  no phone" in mapped.stderr
        assert installation.created() == 6

        assert hospital_bulk("validate", good).returncode == 0
        assert hospital_bulk("status", "no-such-job").returncode == 6
    assert hospital_bulk("list", "--patience", "0").returncode == 5
