/** Answers one method. What it returns (or resolves with) must be JSON. */
export type Handler = (params: unknown) => unknown;

/** One method of the control protocol. `R` is what it answers: JSON of our own making, which is not looked at again. */
export interface Method<P, R> {
  /** What has come as parameters, checked. @throws Error that names what is wrong */
  readonly params: (json: unknown) => P;
  /** Never there; carries the type. */
  readonly result?: R;
}

export type MethodTable = Readonly<Record<string, Method<unknown, unknown>>>;

export type ParamsOf<M> = M extends Method<infer P, unknown> ? P : never;
export type ResultOf<M> = M extends Method<unknown, infer R> ? R : never;

/** What stands behind the method's name in a call: its parameters, if it has any. */
export type ArgumentsOf<M> = undefined extends ParamsOf<M> ? [params?: ParamsOf<M>] : [params: ParamsOf<M>];

/** Who answers the methods of a table. */
export type Handlers<T extends MethodTable> = {
  readonly [K in keyof T]: (params: ParamsOf<T[K]>) => ResultOf<T[K]> | Promise<ResultOf<T[K]>>;
};

/** Who asks for the methods of a table. */
export interface Caller<T extends MethodTable> {
  /** @throws SwarmcutError the other side's own, or `unreachable` when it is gone */
  call<K extends keyof T & string>(method: K, ...params: ArgumentsOf<T[K]>): Promise<ResultOf<T[K]>>;
}

/** A method with these parameters. */
export function method<P, R = void>(params: (json: unknown) => P): Method<P, R> {
  return { params };
}

/** A method without parameters. */
export function plainMethod<R = void>(): Method<undefined, R> {
  return { params: () => undefined };
}

/** What a {@link JsonPeer} answers with: each handler gets parameters that were checked once, here. */
export function answering<T extends MethodTable>(table: T, handlers: Handlers<T>): Readonly<Record<string, Handler>> {
  const all = handlers as Readonly<Record<string, (params: unknown) => unknown>>;
  return Object.fromEntries(
    Object.entries(table).map(([name, { params }]) => [name, (json: unknown) => all[name]?.(params(json))]),
  );
}
