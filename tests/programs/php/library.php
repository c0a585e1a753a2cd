<?php
// Code of somebody else, so that a stack has calls in two files; and what PHP says of a failure.

function parse(string $text): int
{
    if (!is_numeric($text)) {
        throw new InvalidArgumentException("not a number: '$text'");
    }
    return (int) $text;
}

/** PHP tells of each call from where it was made: the function that made it is the next one's. */
function record(Throwable $error, ?string $relation): array
{
    $calls = [];
    [$file, $line] = [$error->getFile(), $error->getLine()];
    foreach ($error->getTrace() as $call) {
        $calls[] = [$file, $line, ($call['class'] ?? '') . ($call['type'] ?? '') . $call['function'], null];
        [$file, $line] = [$call['file'] ?? null, $call['line'] ?? null];
    }
    $calls[] = [$file, $line, '{main}', null];
    $previous = $error->getPrevious();
    return [
        'errorType' => get_class($error), 'errorMessage' => $error->getMessage(), 'stackTrace' => array_reverse($calls),
        'causes' => $previous ? [record($previous, 'cause')] : [], 'relation' => $relation,
    ];
}
