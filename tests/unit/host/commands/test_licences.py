"""docs/images.md says what the images hold."""

from host.commands import licences


def test_the_page_has_every_package_of_the_images_with_its_version_and_licence():
    assert licences.table() in licences.PAGE.read_text(), "run make licences"


def test_no_package_is_without_a_licence():
    rows = [row.split(" | ") for row in licences.table().splitlines()[2:]]
    assert len(rows) > 50
    assert [row[0] for row in rows if not row[2].strip()] == []
