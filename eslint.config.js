// @ts-check
import tseslint from 'typescript-eslint';
import importX, { createNodeResolver } from 'eslint-plugin-import-x';

/** Folders of the pure core: no I/O, no clock, no global randomness, no promises (docs/architecture.md). */
const PURE = ['src/model', 'src/algorithms', 'src/streams', 'src/formats', 'src/simulator', 'src/config'];

/** Who may NOT import whom. Each zone: code under `target` must not import from `from` (except the folders named). */
const zone = (target, allowed) => ({
  target: `./src/${target}`,
  from: './src',
  except: [target, ...allowed].map((folder) => `./${folder}`),
  message: `src/${target} may import only: ${allowed.join(', ') || 'nothing but itself'} (docs/architecture.md).`,
});

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', 'coverage/**', 'src/rpc/generated/**'] },
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['*.js', '*.mjs'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    plugins: { 'import-x': importX },
    settings: { 'import-x/resolver-next': [createNodeResolver({ extensions: ['.ts', '.js', '.mjs'] })] },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      eqeqeq: 'error',
      'import-x/no-cycle': 'error',
      'import-x/no-restricted-paths': [
        'error',
        {
          zones: [
            zone('model', []),
            zone('algorithms', ['model']),
            zone('streams', ['model']),
            zone('formats', ['model']),
            zone('config', ['model']),
            zone('platform', ['model']),
            zone('simulator', ['model', 'algorithms', 'streams', 'formats']),
            zone('execution', ['model', 'algorithms', 'platform']),
            zone('rpc', ['model', 'algorithms', 'platform']),
            zone('storage', ['model', 'formats', 'platform']),
            {
              target: './src',
              from: ['./coordinator', './agent', './examples', './test'],
              message: 'src imports no program.',
            },
            {
              target: './agent/sidecar',
              from: './agent',
              except: ['./sidecar', './linux'],
              message: 'the sidecar is a program of its own: it may import src and agent/linux only.',
            },
            {
              target: './agent/!(sidecar)/**',
              from: './agent/sidecar',
              message: 'agents start sidecars and talk to them (src/rpc/control); they share no code with them.',
            },
            {
              target: './agent',
              from: ['./coordinator', './examples', './test'],
              message: 'agent and coordinator know only the API between them.',
            },
            {
              target: './coordinator',
              from: ['./agent', './test'],
              message: 'agent and coordinator know only the API between them.',
            },
            { target: './coordinator/!(cli)/**', from: './examples', message: 'only the CLI reaches the test bed.' },
            { target: './examples', from: ['./agent', './coordinator', './test'], message: 'examples stand alone.' },
          ],
        },
      ],
    },
  },
  {
    files: PURE.map((folder) => `${folder}/**/*.ts`),
    rules: {
      'no-restricted-imports': ['error', { patterns: [{ regex: '^node:', message: 'the pure core does no I/O' }] }],
      'no-restricted-globals': [
        'error',
        'process',
        'setTimeout',
        'setInterval',
        'setImmediate',
        'queueMicrotask',
        'fetch',
        'crypto',
        'performance',
        'Promise',
      ],
      'no-restricted-syntax': [
        'error',
        {
          selector: "MemberExpression[object.name='Date'][property.name='now']",
          message: 'time is an argument in the pure core',
        },
        {
          selector: "NewExpression[callee.name='Date'][arguments.length=0]",
          message: 'time is an argument in the pure core',
        },
        {
          selector: "MemberExpression[object.name='Math'][property.name='random']",
          message: 'randomness is seeded in the pure core',
        },
        {
          selector:
            'FunctionDeclaration[async=true], FunctionExpression[async=true], ArrowFunctionExpression[async=true]',
          message: 'the pure core has no promises',
        },
      ],
    },
  },
  { files: ['**/*.js', '**/*.mjs'], ...tseslint.configs.disableTypeChecked },
);
