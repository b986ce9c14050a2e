// A server with a gibibyte of memory that answers each line with a line. Prints its port when it is ready.
const memory = [];
for (let at = 0; at < 1024; at++) memory.push(require("crypto").randomBytes(1 << 20));
const server = require("net").createServer((socket) => {
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("data", () => {
        memory[Math.floor(Math.random() * 1024)][0]++;
        socket.write("done\n");
    });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
