"""`make audit`, as far as it is not the database's answer."""

from stack import audit


def test_a_hole_is_shown_with_the_version_that_mends_it():
    packages = [
        {"name": "good", "version": "1.0", "vulns": []},
        {
            "name": "bad",
            "version": "2.0",
            "vulns": [
                {"id": "PYSEC-1", "fix_versions": ["2.0.1", "2.1"]},
                {"id": "PYSEC-2", "fix_versions": []},
            ],
        },
        {"name": "strange", "skip_reason": "Dependency not found"},
    ]
    assert list(audit._holes(packages)) == [
        "bad 2.0: PYSEC-1, mended in 2.0.1, 2.1",
        "bad 2.0: PYSEC-2, mended in no version yet",
    ]
