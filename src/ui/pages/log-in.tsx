/** What is seen without a session. */
import { ended, logIn } from '../api/session.js';
import { useStore } from '../lib/store.js';

export function LogIn() {
  const why = useStore(ended);
  return (
    <form
      class="log-in"
      onSubmit={(event) => {
        event.preventDefault();
        const value = new FormData(event.currentTarget).get('token');
        if (typeof value === 'string' && value.trim() !== '') logIn(value);
      }}
    >
      <h1>Keelson</h1>
      {why && <p role="alert">{why}</p>}
      <p>
        Run <code>keelson dashboard</code> and open the address that it prints, or give a token:
      </p>
      <label>
        Token <input type="password" name="token" autocomplete="off" spellcheck={false} />
      </label>
      <button type="submit" class="primary">
        Log in
      </button>
    </form>
  );
}
