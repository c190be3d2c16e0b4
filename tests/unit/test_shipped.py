"""Tables that come with the repository are found from a folder that lacks them."""

from workflow.lib.config.shipped import with_shipped_files


def test_own_files_go_first_then_those_that_come_with_the_repository(tmp_path, monkeypatch):
    for folder, names in (("here", ["both.csv"]), ("repository", ["both.csv", "theirs.csv"])):
        for name in names:
            file = tmp_path / folder / "config" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    monkeypatch.chdir(tmp_path / "here")
    config = {
        "tables": ["config/both.csv", "config/theirs.csv", "config/nobodys.csv"],
        "elsewhere": {"file": "resources/theirs.csv", "n": 3, "nothing": None},
    }
    assert with_shipped_files(config, tmp_path / "repository") == {
        "tables": [
            "config/both.csv",
            str(tmp_path / "repository/config/theirs.csv"),
            "config/nobodys.csv",
        ],
        "elsewhere": {"file": "resources/theirs.csv", "n": 3, "nothing": None},
    }
