/** The part of WebAssembly's JavaScript interface that the parser needs; Node has it, `lib.es2024` does not say so. */
declare namespace WebAssembly {
  type Imports = Readonly<Record<string, Readonly<Record<string, unknown>>>>
  interface Module {
    readonly [Symbol.toStringTag]: string
  }
  class Instance {
    constructor(module: Module, imports: Imports)
    readonly exports: object
  }
  function compile(bytes: Uint8Array): Promise<Module>
}

/** The Emscripten module below the package's own wrapper, whose instance nobody can replace after a trap. */
declare module 'libpg-query/wasm/libpg-query.js' {
  export interface PgQueryInstance {
    _malloc(bytes: number): number
    _free(pointer: number): void
    _wasm_parse_query_raw(query: number): number
    _wasm_free_parse_result(result: number): void
    _wasm_parse_plpgsql(query: number): number
    _wasm_free_string(text: number): void
    getValue(pointer: number, type: 'i32'): number
    lengthBytesUTF8(text: string): number
    stringToUTF8(text: string, pointer: number, maxBytes: number): void
    UTF8ToString(pointer: number): string
  }
  export interface PgQueryOptions {
    instantiateWasm?(
      imports: WebAssembly.Imports,
      ready: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
    ): object
  }
  export default function PgQueryModule(options?: PgQueryOptions): Promise<PgQueryInstance>
}
