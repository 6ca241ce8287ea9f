import { expect, test } from "vitest";
import { socketParser } from "./socket-parser.ts";

const decode = (...chunks: unknown[]) => {
  const decoder = new socketParser.Decoder();
  const packets: unknown[] = [];
  decoder.on("decoded", (packet: unknown) => packets.push(packet));
  for (const chunk of chunks) decoder.add(chunk);
  return packets;
};

test("a bytes event is one binary message that carries nothing else", () => {
  const chunk = new Uint8Array([1, 2, 3]);
  const encoded = new socketParser.Encoder().encode({ type: 2, nsp: "/", data: ["bytes", chunk] });
  expect(encoded).toEqual([chunk]);
  expect(decode(...encoded)).toEqual([{ type: 2, nsp: "/", data: ["bytes", chunk] }]);
});

test("other packets are the text packets of Socket.IO", () => {
  const refused = { type: 2, nsp: "/", data: ["refused", { code: "host.unreachable" }] };
  const encoded = new socketParser.Encoder().encode(refused);
  expect(encoded).toEqual(['2["refused",{"code":"host.unreachable"}]']);
  expect(decode(...encoded)).toEqual([refused]);
  expect(decode('0{"ticket":"t"}')).toEqual([{ type: 0, nsp: "/", data: { ticket: "t" } }]);
});

test.each(['51-["bytes",{"_placeholder":true,"num":0}]', '61-["x"]', '30["x"]', "9", '2["connect"]', "2{"])(
  "refuses %s",
  (chunk) => {
    expect(() => decode(chunk)).toThrow(Error);
  },
);
