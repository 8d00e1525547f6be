/** Type checks the expressions of a ValidatingAdmissionPolicy against the kinds that it is for. */
import type { ExpressionWarning, NamedRuleWithOperations, ValidatingAdmissionPolicy } from '#types';
import {
  type AdmissionScope,
  admissionEnvironment,
  compileFor,
  compileVariables,
  customKindType,
  kindType,
  type Type,
  type TypeSchema,
} from '../../api/cel/index.js';
import { apiVersionOf, parseApiVersion } from '../../api/machinery/types.js';
import type { Resource } from '../../api/resources/define.js';
import { findResource } from '../../api/resources/index.js';

/** More kinds than these are not looked at. */
const MAX_KINDS = 10;

interface Kind {
  group: string;
  version: string;
  kind: string;
}

/** Undefined where there is nothing to say. `custom`: the kinds that are declared at run time. */
export function typeCheck(
  { spec = {} }: ValidatingAdmissionPolicy,
  custom: readonly Resource[] = [],
): ExpressionWarning[] | undefined {
  const { validations = [], variables = [], paramKind } = spec;
  const typeOf = (apiVersion: string, kind: string) =>
    kindType(apiVersion, kind) ?? typeOfCustom(apiVersion, kind, custom);
  const paramsType = paramKind && typeOf(paramKind.apiVersion ?? '', paramKind.kind ?? '');
  const checks = kindsOf(spec.matchConstraints?.resourceRules ?? [], custom).flatMap((kind) => {
    const object = typeOf(apiVersionOf(kind.group, kind.version), kind.kind);
    return object ? [checkerFor(kind, object, paramKind !== undefined, paramsType, variables)] : [];
  });
  const warnings = validations.flatMap(({ expression, messageExpression }, i) => [
    ...warningOf(checks, expression, `spec.validations[${i}].expression`),
    ...(messageExpression
      ? warningOf(checks, messageExpression, `spec.validations[${i}].messageExpression`)
      : []),
  ]);
  return warnings.length > 0 ? warnings : undefined;
}

function typeOfCustom(apiVersion: string, kind: string, custom: readonly Resource[]): Type | undefined {
  const found = custom.find((each) => each.apiVersion === apiVersion && each.kind === kind);
  return found?.custom && customKindType(found.custom.schema as TypeSchema, kind);
}

/** Whether the check depends on kinds of that group. */
export function concerns({ spec = {} }: ValidatingAdmissionPolicy, group: string): boolean {
  const rules = spec.matchConstraints?.resourceRules ?? [];
  return (
    rules.some(({ apiGroups = [] }) => apiGroups.includes(group)) ||
    parseApiVersion(spec.paramKind?.apiVersion ?? '').group === group
  );
}

type Check = (expression: string) => string | undefined;

function warningOf(checks: readonly Check[], expression: string, fieldRef: string): ExpressionWarning[] {
  const found = checks.map((check) => check(expression)).filter((text) => text !== undefined);
  return found.length > 0 ? [{ fieldRef, warning: found.join('\n') }] : [];
}

function checkerFor(
  { group, version, kind }: Kind,
  object: Type,
  params: boolean,
  paramsType: Type | undefined,
  variables: readonly { name: string; expression: string }[],
): Check {
  const scope: AdmissionScope = { object, params, ...(paramsType && { paramsType }) };
  const { types } = compileVariables(scope, variables);
  const environment = admissionEnvironment({ ...scope, ...(variables.length > 0 && { variables: types }) });
  return (expression) => {
    const compiled = compileFor(environment, expression, []);
    if ('program' in compiled) return undefined;
    return `${group}/${version}, Kind=${kind}: ${compiled.error.replace(/^compilation failed: /, '')}\n`;
  };
}

/** The kinds that rules name without wildcards, in order. */
function kindsOf(rules: readonly NamedRuleWithOperations[], custom: readonly Resource[]): Kind[] {
  const kinds = new Map<string, Kind>();
  for (const { apiGroups = [], apiVersions = [], resources = [] } of rules) {
    if ([...apiGroups, ...apiVersions].some((each) => each.includes('*'))) continue;
    for (const group of apiGroups)
      for (const version of apiVersions)
        for (const plural of resources) {
          const found =
            findResource(group, version, plural) ??
            custom.find((each) => each.apiVersion === apiVersionOf(group, version) && each.plural === plural);
          if (found && kinds.size < MAX_KINDS)
            kinds.set(`${group}/${version}/${found.kind}`, { group, version, kind: found.kind });
        }
  }
  return [...kinds.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, kind]) => kind);
}
