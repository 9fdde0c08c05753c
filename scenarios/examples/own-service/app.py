"""A service of one's own: `python app.py PORT`. It answers a chat by saying the question backwards, word by word."""

import asyncio
import json
import sys

from aiohttp import web


async def healthy(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def models(_: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": [{"id": "backwards", "object": "model"}]})


async def chat(request: web.Request) -> web.StreamResponse:
    body = await request.json()
    words = body["messages"][-1]["content"].split()[::-1][: body.get("max_tokens", 16)]
    if not body.get("stream"):
        choice = {"index": 0, "message": {"role": "assistant", "content": " ".join(words)}, "finish_reason": "stop"}
        return web.json_response({"object": "chat.completion", "choices": [choice]})
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    for number, word in enumerate(words):
        piece = {"index": 0, "delta": {"content": f" {word}" if number else word}, "finish_reason": None}
        await answer.write(f"data: {json.dumps({'choices': [piece]})}\n\n".encode())
        await asyncio.sleep(0.005)
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    await answer.write(f"data: {json.dumps(last)}\n\ndata: [DONE]\n\n".encode())
    return answer


app = web.Application()
app.add_routes([web.get("/health", healthy), web.get("/v1/models", models), web.post("/v1/chat/completions", chat)])
if __name__ == "__main__":
    web.run_app(app, host=sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1", port=int(sys.argv[1]), print=None)
