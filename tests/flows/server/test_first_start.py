"""Of servers that start at once on a new database, one makes the tables."""

from threading import Thread

from flows.server.first_start import wait_for_tables


def test_the_others_wait_until_the_tables_stand(tmp_path):
    home, order = tmp_path / "home", []
    started = wait_for_tables(home)
    others = [Thread(target=lambda: (wait_for_tables(home)(), order.append("another"))) for _ in range(3)]
    for other in others:
        other.start()
    others[0].join(timeout=0.2)
    assert others[0].is_alive()
    (home / "prefect.db").touch()
    order.append("first")
    started()
    for other in others:
        other.join(timeout=10)
    assert order == ["first", "another", "another", "another"]
    wait_for_tables(home)()


def test_a_database_that_was_removed_is_made_again(tmp_path):
    (tmp_path / "prefect.db").touch()
    wait_for_tables(tmp_path)()
    (tmp_path / "prefect.db").unlink()
    wait_for_tables(tmp_path)()
    assert (tmp_path / ".tables-lock").exists()


def test_a_folder_that_cannot_be_made_is_left_to_prefect(tmp_path):
    (tmp_path / "home").write_text("a file")
    wait_for_tables(tmp_path / "home")()
