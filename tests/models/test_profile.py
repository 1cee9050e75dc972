"""What was found out about an endpoint, kept in a folder that may be deleted, broken or not writable."""

from pathlib import Path

from chatdev.models.profile import Profile, Profiles

FOUND = Profile("http://h:1/v1", "m", engine="vLLM", version="1", choices="grammar", thinks=True, low=0.5, high=0.9)


def test_a_profile_comes_back_as_it_was_put(tmp_path: Path) -> None:
    profiles = Profiles(tmp_path / "new" / "folder")
    assert not profiles.any(FOUND.base_url, FOUND.model)
    assert profiles.put(FOUND)
    assert profiles.any(FOUND.base_url, FOUND.model)
    assert profiles.get(FOUND.base_url, FOUND.model, "1") == FOUND
    assert FOUND.thinking_off == {"chat_template_kwargs": {"enable_thinking": False}}


def test_address_model_and_version_tell_profiles_apart(tmp_path: Path) -> None:
    profiles = Profiles(tmp_path)
    profiles.put(FOUND)
    assert profiles.get(FOUND.base_url, FOUND.model, "2") is None
    assert profiles.get(FOUND.base_url, "other", "1") is None
    assert not profiles.any("http://h:2/v1", FOUND.model)


def test_a_broken_file_is_as_good_as_none(tmp_path: Path) -> None:
    profiles = Profiles(tmp_path)
    path = profiles.put(FOUND)
    assert path is not None
    for broken in (b"", b"{", b'{"base_url": 1}', b"\xff"):
        path.write_bytes(broken)
        assert profiles.get(FOUND.base_url, FOUND.model, "1") is None


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert Profiles(tmp_path / "file" / "folder").put(FOUND) is None
    assert Profiles(None).put(FOUND) is None
    assert Profiles(None).get(FOUND.base_url, FOUND.model, "1") is None
