/** The default policy: what every cluster's roles and bindings are at its first start. */
export { defaultClusterRoleBindings, defaultRoleBindings, defaultRoles } from './bindings.js';
export { controllerRoles } from './controllers.js';
export { compact, describeRule, quoted, ruleAllows, uncovered } from './policy-rules.js';
export { defaultClusterRoles } from './roles.js';
