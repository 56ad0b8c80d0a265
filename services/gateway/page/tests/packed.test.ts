// Messages in msgpack, by the examples of its specification and by the arrays of the gateway.
import assert from "node:assert/strict";
import { test } from "node:test";
import { unpacked } from "../src/packed.ts";

const of = (...bytes: number[]) => unpacked(Uint8Array.from(bytes).buffer);
const text = (value: string) => [0xa0 + value.length, ...Buffer.from(value)];
const array = (dtype: string, shape: number[], data: Uint8Array) => [0x83, ...text("dtype"), ...text(dtype), ...text("shape"), 0x90 + shape.length, ...shape, ...text("data"), 0xc4, data.length, ...data];
const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);

test("numbers, texts, lists and maps have the values that were packed", () => {
  const numbers = [of(5), of(0xff), of(0xcc, 200), of(0xcd, 1, 0), of(0xce, 0, 1, 0, 0), of(0xcf, 0, 0, 0, 1, 0, 0, 0, 0), of(0xd0, 0x80), of(0xd1, 0xff, 0), of(0xd2, 0xff, 0xff, 0, 0), of(0xd3, ...new Array<number>(8).fill(0xff))];
  assert.deepEqual(numbers, [5, -1, 200, 256, 65536, 2 ** 32, -128, -256, -65536, -1]);
  assert.deepEqual([of(0xca, 0x3f, 0xc0, 0, 0), of(0xcb, 0xbf, 0xf0, 0, 0, 0, 0, 0, 0), of(0xc0), of(0xc2), of(0xc3)], [1.5, -1, null, false, true]);
  const long = "ü".repeat(40);
  assert.deepEqual([of(...text("abc")), of(0xd9, 80, ...Buffer.from(long)), of(0xda, 0, 80, ...Buffer.from(long)), of(0xdb, 0, 0, 0, 80, ...Buffer.from(long))], ["abc", long, long, long]);
  assert.deepEqual(of(0xdc, 0, 1, 0x93, 1, 2, 3), [[1, 2, 3]]);
  assert.deepEqual(of(0xdd, 0, 0, 0, 1, 0xde, 0, 1, ...text("a"), 0xdf, 0, 0, 0, 1, ...text("b"), 7), [{ a: { b: 7 } }]);
  assert.throws(() => of(0xc1), /unknown type 193/);
  assert.throws(() => of(0xcd, 1), RangeError);
});

test("arrays are lists in which a missing value is null, those of three axes have typed rows", () => {
  assert.deepEqual(of(...array("<f4", [2, 2], floats(1, NaN, 3, 4))), [[1, null], [3, 4]]);
  assert.deepEqual(of(...array("<i2", [3], Uint8Array.from([1, 0, 0, 1, 255, 255]))), [1, 256, -1]);
  assert.deepEqual(of(...array("<f4", [1, 2, 1], floats(0.5, NaN))), [[Float32Array.of(0.5), Float32Array.of(NaN)]]);
});
