"""The baseline: what FastAPI, uvicorn and SQLite cost without us. `python -m bench.bare PORT [DATABASE]`."""

import sys

import uvicorn
from fastapi import FastAPI

app = FastAPI()


@app.get("/healthz")
def hello() -> dict[str, str]:
    return {"status": "ok"}


def add_insert(path: str) -> None:
    """Add a route that stores one answer durably in the SQLite file at `path`."""
    import sqlite3

    from pydantic import BaseModel

    class Answer(BaseModel):
        card_id: str
        answer: str
        client_answer_id: str
        elapsed_ms: int

    database = sqlite3.connect(path, check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute(
        "CREATE TABLE answers (id INTEGER PRIMARY KEY, card_id TEXT, answer TEXT,"
        " client_answer_id TEXT UNIQUE, elapsed_ms INTEGER)"
    )

    @app.post("/answers")
    def insert(answer: Answer) -> dict[str, int | None]:
        with database:
            done = database.execute(
                "INSERT INTO answers (card_id, answer, client_answer_id, elapsed_ms)"
                " VALUES (:card_id, :answer, :client_answer_id, :elapsed_ms)",
                answer.model_dump(),
            )
        return {"id": done.lastrowid}


if __name__ == "__main__":
    if len(sys.argv) > 2:
        add_insert(sys.argv[2])
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
