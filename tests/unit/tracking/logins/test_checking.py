"""How passwords are checked."""

from collections import Counter

from tracking_server.logins import checking


def test_a_password_that_fits_a_hash_is_checked_once_and_another_always():
    asked = Counter()

    def fits(pwhash, password):
        asked[pwhash, password] += 1
        return pwhash == f"hash of {password}"

    check = checking.checked_once(fits)
    for _ in range(3):
        assert check("hash of right", "right")
        assert not check("hash of right", "wrong")
        assert not check("hash of new", "right")  # since the password was changed
    assert asked == {
        ("hash of right", "right"): 1,
        ("hash of right", "wrong"): 3,
        ("hash of new", "right"): 3,
    }
