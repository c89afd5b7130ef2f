<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_checkout\Kernel;

use Drupal\commerce_waybill\Signing\SigningKey;
use Drupal\commerce_waybill_checkout\Quote\Quotes;
use GuzzleHttp\Psr7\Response;
use GuzzleHttp\RequestOptions;

/**
 * Amounts from outside: cached, in time, or not at all.
 *
 * @group commerce_waybill
 */
class QuoteTest extends CheckoutKernelTestBase {

  private const QUESTION = ['store' => '1', 'lines' => []];

  /**
   * {@inheritdoc}
   */
  protected function setUp(): void {
    parent::setUp();
    $this->declare(['quote_endpoint' => 'https://waybill.example/quotes', 'quote_fresh' => 900, 'quote_usable' => 86400]);
  }

  /**
   * The same question is asked once while its answer is fresh.
   */
  public function testTheFreshAmountNeedsNoRequest(): void {
    $this->amountAnswers('1.5');
    self::assertSame('1.5 USD', $this->amount());
    $this->pass(900);
    self::assertSame('1.5 USD', $this->amount());
    self::assertCount(1, $this->posted);
    $this->pass(1);
    $this->amountAnswers('1.75');
    self::assertSame('1.75 USD', $this->amount());
    self::assertCount(2, $this->posted);
  }

  /**
   * Another kind, question or currency is another question.
   */
  public function testOtherQuestionsAreAsked(): void {
    $this->amountAnswers('1');
    $this->amountAnswers('2');
    $this->amountAnswers('3');
    $quotes = $this->container->get(Quotes::class);
    self::assertSame(['1 USD', '2 USD', '3 USD'], [
      (string) $quotes->amount('tax', self::QUESTION, 'USD'),
      (string) $quotes->amount('shipping', self::QUESTION, 'USD'),
      (string) $quotes->amount('tax', ['store' => '2'] + self::QUESTION, 'USD'),
    ]);
  }

  /**
   * Signed, bounded in time, and never sent elsewhere.
   */
  public function testTheQuestionIsSignedAndBounded(): void {
    $this->declare(['quote_timeout' => 1.5]);
    $this->amountAnswers('1');
    $this->amount();
    ['request' => $request, 'options' => $options] = $this->posted[0];
    $body = (string) $request->getBody();
    self::assertSame('{"kind":"tax","currency_code":"USD","question":{"store":"1","lines":[]}}', $body);
    self::assertSame(['POST', 'https://waybill.example/quotes', 'application/json'], [
      $request->getMethod(),
      (string) $request->getUri(),
      $request->getHeaderLine('Content-Type'),
    ]);
    $signed = $request->getHeaderLine('webhook-id') . '.' . $request->getHeaderLine('webhook-timestamp') . '.' . $body;
    self::assertSame(
      'v1,' . base64_encode(hash_hmac('sha256', $signed, SigningKey::bytes(self::SECRET), TRUE)),
      $request->getHeaderLine('webhook-signature'),
    );
    self::assertMatchesRegularExpression('/^quote_[0-9a-f-]{36}$/', $request->getHeaderLine('webhook-id'));
    self::assertSame([0.5, 1.5, FALSE], [
      $options[RequestOptions::CONNECT_TIMEOUT],
      $options[RequestOptions::TIMEOUT],
      $options[RequestOptions::ALLOW_REDIRECTS],
    ]);
  }

  /**
   * No time limit is not a time limit.
   */
  public function testTheTimeLimitCannotBeSwitchedOff(): void {
    $this->declare(['quote_timeout' => 0.0]);
    $this->amountAnswers('1');
    $this->amount();
    self::assertSame(0.1, $this->posted[0]['options'][RequestOptions::TIMEOUT]);
  }

  /**
   * The old amount is used while it is usable, and nobody asks for a minute.
   */
  public function testTheOldAmountIsUsedWhenNobodyAnswers(): void {
    $this->amountAnswers('1.5');
    $this->amount();
    $this->pass(901);
    $this->nobodyAnswers();
    self::assertSame('1.5 USD', $this->amount());
    $this->pass(59);
    self::assertSame('1.5 USD', $this->amount());
    self::assertCount(2, $this->posted);
    $this->pass(2);
    $this->amountAnswers('1.75');
    self::assertSame('1.75 USD', $this->amount());
  }

  /**
   * What is too old is not used any more.
   */
  public function testTheAmountThatIsTooOldIsNotUsed(): void {
    $this->amountAnswers('1.5');
    $this->amount();
    $this->pass(86401);
    $this->nobodyAnswers();
    self::assertNull($this->amount());
  }

  /**
   * Who is away is left alone with every question.
   */
  public function testWhoIsAwayIsLeftAlone(): void {
    $this->middleware->append(new Response(503));
    self::assertSame([NULL, NULL, NULL], [$this->amount(), $this->amount(), $this->amount('2')]);
    self::assertCount(1, $this->posted);
  }

  /**
   * Who refuses one question is asked others.
   */
  public function testTheRefusedQuestionIsLeftAlone(): void {
    $this->middleware->append(new Response(422));
    $this->amountAnswers('2');
    self::assertSame([NULL, NULL, '2 USD'], [$this->amount(), $this->amount(), $this->amount('2')]);
    self::assertCount(2, $this->posted);
  }

  /**
   * What is not an amount in the currency is no answer.
   *
   * @dataProvider useless
   */
  public function testUselessAnswersAreRefused(string $body): void {
    $this->middleware->append(new Response(200, [], $body));
    self::assertNull($this->amount());
  }

  /**
   * Answers that hold no amount.
   */
  public static function useless(): array {
    $bodies = [
      '',
      'null',
      '17',
      '{"amount":"17"}',
      '{"amount":{"currency_code":"USD"}}',
      '{"amount":{"number":"17","currency_code":"EUR"}}',
      '{"amount":{"number":17,"currency_code":"USD"}}',
      '{"amount":{"number":["17"],"currency_code":"USD"}}',
      '{"amount":{"number":"-17","currency_code":"USD"}}',
      '{"amount":{"number":"1e3","currency_code":"USD"}}',
      '{"amount":{"number":"17\n","currency_code":"USD"}}',
      '<html>',
    ];
    return array_combine($bodies, array_map(static fn (string $body): array => [$body], $bodies));
  }

  /**
   * Amounts are rounded as the currency is.
   */
  public function testAmountsAreRounded(): void {
    $this->amountAnswers('1.234567');
    self::assertSame('1.23 USD', $this->amount());
  }

  /**
   * Without an address, or a secret, nobody is asked.
   */
  public function testWithoutAddressOrSecretNobodyIsAsked(): void {
    $this->declare(['quote_endpoint' => '']);
    self::assertNull($this->amount());
    $this->declare(['quote_endpoint' => 'https://waybill.example/quotes']);
    $this->config('commerce_waybill.settings')->set('secret', 'settings:absent')->save();
    self::assertNull($this->amount());
    self::assertSame([], $this->posted);
  }

  /**
   * Asks for the tax of a store.
   */
  private function amount(string $store = '1'): ?string {
    $amount = $this->container->get(Quotes::class)->amount('tax', ['store' => $store] + self::QUESTION, 'USD');
    return $amount ? (string) $amount : NULL;
  }

}
