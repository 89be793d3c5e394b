"""Settings come from one TOML; a wrong one is named, and nothing listens to the world by accident."""

import dataclasses

import pytest

from cspine.domain import ConfigError
from cspine.service import ServiceConfig, config_of, example_config, read_config, settings_table
from cspine.service.config import MEANINGS


def test_every_setting_has_a_meaning():
    assert list(MEANINGS) == [field.name for field in dataclasses.fields(ServiceConfig)]
    assert [name for name, _, _ in settings_table()] == list(MEANINGS)


def test_the_example_is_read_and_gives_the_defaults(tmp_path):
    (tmp_path / "cspine.toml").write_text(example_config(), encoding="utf-8")
    assert read_config(tmp_path / "cspine.toml") == ServiceConfig(tmp_path / "cspine-data")


def test_the_example_shows_every_setting_as_it_would_be_written(tmp_path):
    lines = [line.removeprefix("# ") for line in example_config().splitlines() if " = " in line]
    (tmp_path / "all.toml").write_text("\n".join(lines), encoding="utf-8")
    settings = [line for line in lines if not line.endswith('= ""')]
    (tmp_path / "all.toml").write_text("\n".join(settings), encoding="utf-8")
    assert read_config(tmp_path / "all.toml") == ServiceConfig(tmp_path / "cspine-data")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "data_dir is missing"),
        ({"prot": 1}, "unknown setting 'prot': did you mean 'port'"),
        ({"port": 70000}, "port is 70000; it must be at most 65535"),
        ({"port": "8600"}, "port is '8600'; it must be a whole number"),
        ({"workers": 0}, "workers is 0; it must be above 0"),
        ({"kinds": ["jsn"]}, "kinds: unknown format 'jsn': did you mean 'json'"),
        ({"kinds": ["html"]}, "json must be among them"),
        ({"host": "0.0.0.0"}, "would cross the network in clear"),
        ({"tls_key": "key.pem"}, "belong together"),
        ({"mail_host": "mail"}, "mail_from and mail_to are needed"),
        ({"webhook_url": "ftp://x"}, "must begin with http"),
        ({"behind_proxy": 1}, "behind_proxy is 1; it must be true or false"),
        ({"lease_s": True}, "lease_s is True; it must be a number"),
    ],
)
def test_an_impossible_setting_is_named_with_its_value(values, message, tmp_path):
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        config_of(values if not values or "prot" in values else {"data_dir": str(tmp_path)} | values)


def test_a_file_that_is_no_toml_is_named(tmp_path):
    (tmp_path / "x.toml").write_text("port = = 3", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"x\.toml: not TOML"):
        read_config(tmp_path / "x.toml")
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read"):
        read_config(tmp_path / "none.toml")


def test_it_listens_to_this_machine_only_unless_told_otherwise(tmp_path):
    assert ServiceConfig(tmp_path).host == "127.0.0.1"
    assert ServiceConfig(tmp_path, host="10.0.0.5", behind_proxy=True).secure
