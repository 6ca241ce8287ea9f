/**
 * Node's `http` without its rarely used parts: importing it as a module touches every export, and some of them load
 * a second HTTP client, which cost 12 MB of memory. Other files import only types from `node:http`.
 */
export const { Agent, createServer, request } = process.getBuiltinModule("node:http");
