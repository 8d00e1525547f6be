/** Who is logged in, and for how long. */
import { useEffect, useState } from 'preact/hooks';
import { getJson } from '../api/http.js';
import { expiry, logOut, token } from '../api/session.js';
import { useStore } from '../lib/store.js';

export function Who() {
  const [name, setName] = useState('');
  const [now, setNow] = useState(Date.now());
  const user = useStore(token);
  useEffect(() => {
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
    getJson<any>('/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      method: 'POST',
      body: JSON.stringify(body),
      contentType: 'application/json',
    }).then(
      (review) => setName(review.status.userInfo.username),
      () => undefined,
    );
  }, [user]);
  const end = expiry(user);
  useEffect(() => {
    const timer = setInterval(() => {
      setNow(Date.now());
      if (end !== undefined && Date.now() >= end) logOut('The session has ended.');
    }, 10_000);
    return () => clearInterval(timer);
  }, [end]);
  const minutes = end === undefined ? undefined : Math.max(0, Math.ceil((end - now) / 60_000));
  return (
    <span class="who" title={minutes === undefined ? undefined : `The session ends in ${minutes} min`}>
      {name}
      {minutes !== undefined && <span class={minutes <= 5 ? 'ending' : 'faint'}> {minutes} min</span>}
    </span>
  );
}
