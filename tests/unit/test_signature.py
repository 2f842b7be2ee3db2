"""A store is signed by who has the key, and by nobody else."""

import json
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from scorefleet.pipelines.cli import main
from scorefleet.tasks.errors import StorageError
from scorefleet.tasks.store import merkle, signature
from scorefleet.tasks.store.verify import verify


def keys(folder, name="key"):
    """A private and a public key, as PEM files."""
    key = Ed25519PrivateKey.generate()
    private, public = folder / name, folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    private.chmod(0o600)
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return str(private), str(public)


def test_a_signature_is_that_of_its_key_and_of_this_store(tiny_copy, tmp_path, capsys):
    folder, (private, public), (_, other) = str(tiny_copy("model")), keys(tmp_path), keys(tmp_path, "other")
    assert main(["verify", folder, "--public-key", public]) == 4
    assert "nobody signed" in capsys.readouterr().err
    assert main(["verify", folder, "--sign", private]) == 0
    assert main(["verify", folder, "--public-key", public]) == 0
    assert "not listed" not in capsys.readouterr().out
    assert main(["verify", folder, "--public-key", other]) == 4
    assert "no signature of dataset.json" in capsys.readouterr().err
    data = (tiny_copy("target") / "dataset.json").read_bytes()
    (tmp_path / "model" / "store" / "dataset.json").write_bytes(data)
    assert main(["verify", folder, "--public-key", public]) == 4


def test_the_key_may_come_from_the_environment(tiny_copy, tmp_path, monkeypatch):
    folder, (private, public) = str(tiny_copy("model")), keys(tmp_path)
    monkeypatch.setenv("SCOREFLEET_SIGN", private)
    assert main(["verify", folder]) == 0
    monkeypatch.delenv("SCOREFLEET_SIGN")
    assert main(["verify", folder, "--public-key", public]) == 0


def test_openssl_agrees(tiny_copy, tmp_path):
    """The signature is plain Ed25519 of the file, as anyone can check."""
    folder, (private, public) = tiny_copy("model"), keys(tmp_path)
    assert main(["verify", str(folder), "--sign", private]) == 0
    raw = tmp_path / "raw"
    raw.write_bytes(bytes.fromhex(json.loads((folder / "signature.json").read_text())["signature"]))
    words = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-sigfile", str(raw)]
    done = subprocess.run([*words, "-in", str(folder / "dataset.json")], capture_output=True, text=True, check=False)
    assert "Verified Successfully" in done.stdout


def test_a_damaged_store_is_not_signed(tiny_copy, tmp_path):
    folder, (private, _) = tiny_copy("model"), keys(tmp_path)
    next((folder / "states").iterdir()).unlink()
    assert main(["verify", str(folder), "--sign", private]) == 4
    assert not (folder / "signature.json").exists()


@pytest.mark.parametrize(("mode", "is_taken"), [(0o600, True), (0o400, True), (0o640, False), (0o604, False)])
def test_a_key_that_others_can_read_is_refused(tiny_copy, tmp_path, mode, is_taken, capsys):
    folder, (private, _) = str(tiny_copy("model")), keys(tmp_path)
    (tmp_path / "key").chmod(mode)
    assert main(["verify", folder, "--sign", private]) == (0 if is_taken else 2)
    assert ("chmod 600" in capsys.readouterr().err) is not is_taken


def test_no_error_shows_a_word_of_a_key(tiny_copy, tmp_path, capsys):
    folder, (private, public) = str(tiny_copy("model")), keys(tmp_path)
    secret = (tmp_path / "key").read_text().splitlines()[1]
    (tmp_path / "key").write_text(f"-----BEGIN PRIVATE KEY-----\n{secret}!\n-----END PRIVATE KEY-----\n")
    for words in (["--sign", private], ["--sign", public], ["--sign", "nowhere"], ["--public-key", private]):
        (tmp_path / "key.pub").chmod(0o600)
        assert main(["verify", folder, *words]) == 2
        said = capsys.readouterr()
        assert secret not in said.err + said.out
        assert len(said.err.splitlines()) == 1


def test_a_shard_proves_that_it_is_in_the_store_with_nothing_but_the_root(tiny_copy, capsys):
    folder = tiny_copy("model")
    root = json.loads((folder / "dataset.json").read_text())["merkle_root"]
    for shard in (folder / "shards").iterdir():
        assert main(["verify", str(folder), "--shard", f"shards/{shard.name}"]) == 0
        proof = json.loads(capsys.readouterr().out)
        hashes = [bytes.fromhex(digest) for digest in proof["hashes"]]
        record, place = proof["record"].encode(), (proof["index"], proof["num_shards"])
        assert merkle.is_included(record, *place, hashes, bytes.fromhex(root))
        assert json.loads(proof["record"])["path"] == f"shards/{shard.name}"
    assert main(["verify", str(folder), "--shard", "../../etc/passwd"]) == 2
    shard.write_bytes(b"")
    assert main(["verify", str(folder), "--shard", f"shards/{shard.name}"]) == 4


def test_another_key_does_not_sign_over_a_signature_and_its_own_key_does(tiny_copy, tmp_path, monkeypatch, capsys):
    folder, (first, public), (second, _) = tiny_copy("model"), keys(tmp_path), keys(tmp_path, "other")
    assert main(["verify", str(folder), "--sign", first]) == 0
    signed = (folder / "signature.json").read_bytes()
    capsys.readouterr()
    monkeypatch.setenv("SCOREFLEET_SIGN", second)
    assert main(["verify", str(folder)]) == 2
    said = capsys.readouterr().err
    assert f"{folder} is signed by another key" in said
    assert len(said.splitlines()) == 1
    assert (folder / "signature.json").read_bytes() == signed
    monkeypatch.delenv("SCOREFLEET_SIGN")
    (folder / "signature.json").write_text(signed.decode().replace('"signature": "', '"signature": "00'))
    assert main(["verify", str(folder), "--sign", first, "--public-key", public]) == 4  # it is checked before
    assert main(["verify", str(folder), "--sign", first]) == 0
    assert (folder / "signature.json").read_bytes() == signed


def test_what_is_signed_is_what_was_proven_and_not_what_came_later(tiny_copy, tmp_path):
    folder, (private, public) = tiny_copy("model"), keys(tmp_path)
    proof = verify(str(folder))
    proven = (folder / "dataset.json").read_bytes()
    (folder / "dataset.json").write_bytes((tiny_copy("target") / "dataset.json").read_bytes())
    signature.sign(str(folder), private, proof.description)
    with pytest.raises(StorageError, match="no signature of"):
        signature.check(str(folder), public)
    (folder / "dataset.json").write_bytes(proven)
    signature.check(str(folder), public)
