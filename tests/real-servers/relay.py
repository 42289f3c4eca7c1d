"""A TCP relay between the gateway and a server that a test can stop and cut, as networks do."""

import asyncio


class Relay:
    def __init__(self, loop, address, port, target):
        self.loop, self.target, self.pairs = loop, target, []
        self.passing = asyncio.Event()
        self.server = loop.run(self._listen(address, port))

    async def _listen(self, address, port):
        self.passing.set()
        return await asyncio.start_server(self._accept, address, port)

    async def _accept(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.close()
            return
        self.pairs.append((writer, far_writer))
        await asyncio.gather(self._copy(reader, far_writer, True), self._copy(far_reader, writer, False))

    async def _copy(self, reader, writer, towards_the_server):
        try:
            while data := await reader.read(65536):
                if towards_the_server:
                    await self.passing.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # cut
        writer.close()

    def hold(self):
        """From now on nothing reaches the server; what it sends still arrives."""
        self.loop.loop.call_soon_threadsafe(self.passing.clear)

    def cut(self):
        """Resets all connections, loses what was held, and lets new ones pass."""
        def reset():
            for pair in self.pairs:
                for writer in pair:
                    writer.transport.abort()
            self.pairs.clear()
            self.loop.loop.call_later(0, self.passing.set)
        self.loop.loop.call_soon_threadsafe(reset)

    def close(self):
        self.loop.loop.call_soon_threadsafe(self.server.close)
