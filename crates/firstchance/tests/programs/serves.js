// A server with 200 MiB of memory that answers each line with the number of lines that it was sent. Prints its port when it
// is ready.
const memory = [];
for (let at = 0; at < 200; at++) memory.push(require("crypto").randomBytes(1 << 20));
let lines = 0;
const server = require("net").createServer((socket) => {
    socket.setNoDelay(true);
    require("readline").createInterface({ input: socket }).on("line", () => {
        memory[++lines % 200][lines % (1 << 20)]++;
        socket.write(`${lines}\n`);
    });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
