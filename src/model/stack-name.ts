import { SwarmcutError } from './errors.ts';
import { excerpt } from './visible.ts';

/** What `docker stack deploy` can have made: services are `<stack>_<name>`, and Swarm takes few characters in them. */
const STACK_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/;

export function isStackName(text: string): boolean {
  return STACK_NAME.test(text);
}

/**
 * Swarm takes an empty name for all services there are, and names become parts of paths.
 * @throws SwarmcutError `usage` for what no stack (nor service) is called
 */
export function assertStackName(text: string): void {
  if (isStackName(text)) return;
  throw new SwarmcutError('usage', `"${excerpt(text)}" is not the name of a stack`, {
    advice: 'give the name as `docker stack ls` shows it (letters, digits, dots, dashes, underscores)',
  });
}
