/** Messages in msgpack, whose arrays are `{"dtype", "shape", "data"}`.
 *
 * The packages for msgpack would be a tenth of the page; this decodes what the gateway sends.
 */
type Numbers = Int16Array | Int32Array | Float32Array | Float64Array;

const TYPES: Record<string, { new (buffer: ArrayBuffer): Numbers }> = {
  "<i2": Int16Array,
  "<i4": Int32Array,
  "<f4": Float32Array,
  "<f8": Float64Array,
};

/** Return the message in a body with lists in place of its arrays.
 *
 * A missing value is null as in JSON, but NaN in arrays of three axes: their rows stay typed arrays, as
 * those of thousands of pairs hold millions of values.
 */
export function unpacked(body: ArrayBuffer): unknown {
  return new Reader(body).value();
}

const TEXT = new TextDecoder();

/** Values of a body from its beginning on; types that the gateway does not send are an error. */
class Reader {
  private at = 0;
  private readonly view: DataView;

  constructor(body: ArrayBuffer) {
    this.view = new DataView(body);
  }

  value(): unknown {
    const code = this.unsigned(1);
    if (code < 0x80) return code;
    if (code < 0x90) return this.map(code & 0x0f);
    if (code < 0xa0) return this.list(code & 0x0f);
    if (code < 0xc0) return TEXT.decode(this.bytes(code & 0x1f));
    if (code >= 0xe0) return code - 0x100;
    switch (code) {
      case 0xc0:
        return null;
      case 0xc2:
      case 0xc3:
        return code === 0xc3;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.bytes(this.unsigned(1 << (code - 0xc4)));
      case 0xca:
        return this.view.getFloat32(this.skip(4));
      case 0xcb:
        return this.view.getFloat64(this.skip(8));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.unsigned(1 << (code - 0xcc));
      case 0xcf:
        return Number(this.view.getBigUint64(this.skip(8)));
      case 0xd0:
        return this.view.getInt8(this.skip(1));
      case 0xd1:
        return this.view.getInt16(this.skip(2));
      case 0xd2:
        return this.view.getInt32(this.skip(4));
      case 0xd3:
        return Number(this.view.getBigInt64(this.skip(8)));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return TEXT.decode(this.bytes(this.unsigned(1 << (code - 0xd9))));
      case 0xdc:
      case 0xdd:
        return this.list(this.unsigned(2 << (code - 0xdc)));
      case 0xde:
      case 0xdf:
        return this.map(this.unsigned(2 << (code - 0xde)));
    }
    throw new Error(`cannot decode a message: unknown type ${code}`);
  }

  private list(length: number): unknown[] {
    return Array.from({ length }, () => this.value());
  }

  private map(length: number): unknown {
    const map: Record<string, unknown> = {};
    for (let i = 0; i < length; i++) map[String(this.value())] = this.value();
    const { dtype, shape, data } = map;
    const type = TYPES[String(dtype)];
    if (!type || !(data instanceof Uint8Array) || !Array.isArray(shape)) return map;
    // A copy, as numbers of several bytes have to begin at a multiple of them.
    return nested(new type(data.slice().buffer as ArrayBuffer), shape, shape.length === 3);
  }

  private unsigned(size: number): number {
    const at = this.skip(size);
    return size === 1 ? this.view.getUint8(at) : size === 2 ? this.view.getUint16(at) : this.view.getUint32(at);
  }

  private bytes(length: number): Uint8Array {
    return new Uint8Array(this.view.buffer, this.skip(length), length);
  }

  /** Return where the next bytes begin, and go on after them. */
  private skip(length: number): number {
    this.at += length;
    return this.at - length;
  }
}

function nested(values: Numbers, [length, ...rest]: number[], isTyped: boolean): unknown {
  if (!rest.length) return isTyped ? values : Array.from(values, (value) => (Number.isNaN(value) ? null : value));
  const size = values.length / length!;
  return Array.from({ length: length! }, (_, i) => nested(values.subarray(i * size, (i + 1) * size), rest, isTyped));
}
