/** `$(NAME)` in commands, arguments and environment (kubernetes `third_party/forked/golang/expansion`). */

/** References to what is not defined stay as they are; `$$` is a `$` that refers to nothing. */
export function expand(text: string, lookup: (name: string) => string | undefined): string {
  return text.replace(/\$(?:\$|\(([^)]*)\))/g, (reference, name: string | undefined) =>
    name === undefined ? '$' : (lookup(name) ?? reference),
  );
}
