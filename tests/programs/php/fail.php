<?php
// Fails in the way that the first argument names, and says nothing of it but what PHP prints. With TRUTH=1 in the environment it
// prints what PHP's own objects say of the same failure, as JSON.
require __DIR__ . '/library.php';

class OrderError extends RuntimeException {}

class Orders
{
    public function __construct(private array $rows) {}

    public function find(string $id): int
    {
        try {
            return parse($this->rows[$id] ?? '');
        } catch (InvalidArgumentException $error) {
            throw new OrderError("no order $id", 0, $error);
        }
    }

    public static function all(array $ids): array
    {
        return array_map(fn ($id) => (new self([]))->find($id), $ids);
    }
}

$failures = [
    'chain' => function () {
        try {
            Orders::all(['A-1']);
        } catch (OrderError $error) {
            throw new RuntimeException('service unavailable', 0, $error);
        }
    },
    'lines' => fn () => throw new LogicException("first line\n\n#0 /not/real.php(1): looksLike()\nlast: line"),
    'type' => fn () => parse([]),
    'utf' => fn () => throw new OrderError('größe 日本語 🎉'),
    'empty' => fn () => throw new OrderError(),
];

if (getenv('TRUTH')) {
    set_exception_handler(function (Throwable $error) {
        echo json_encode(record($error, null)), "\n";
    });
}

$failures[$argv[1]]();
